"""Small fitted pipelines that are not linear, one for each way in which they are served."""

from collections.abc import Sequence
from typing import Any, Final

from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, Normalizer, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier

from tests.unit.train.brought.pipelines import fitted

DIRECTIONS: Final = TruncatedSVD(8, random_state=1)
FOREST: Final = RandomForestClassifier(10, random_state=1)
LINEAR: Final = [
    ("logistic", LogisticRegression()),
    ("bayes", MultinomialNB()),
    ("calibrated", CalibratedClassifierCV(LinearSVC(), cv=2)),
    ("descent", SGDClassifier(loss="log_loss", random_state=1)),
    ("left out", "drop"),
]
MIXED: Final = [("a", LogisticRegression()), ("b", GaussianNB()), ("c", FOREST)]

ESTIMATORS: Final[dict[str, Sequence[Any]]] = {
    "rbf": (DIRECTIONS, SVC()),
    "rbf on words": (SVC(),),
    "polynomial": (DIRECTIONS, SVC(kernel="poly")),
    "sigmoid": (DIRECTIONS, SVC(kernel="sigmoid")),
    "nu": (DIRECTIONS, NuSVC(nu=0.2)),
    "rbf calibrated": (DIRECTIONS, CalibratedClassifierCV(SVC(), ensemble=False, cv=2)),
    "rbf isotonic": (CalibratedClassifierCV(SVC(), method="isotonic", cv=2),),
    "votes calibrated": (CalibratedClassifierCV(SVC(kernel="linear"), cv=2),),
    "linear isotonic": (CalibratedClassifierCV(LinearSVC(), method="isotonic", cv=2),),
    "pipeline calibrated": (
        DIRECTIONS,
        CalibratedClassifierCV(make_pipeline(StandardScaler(), SVC()), cv=2),
    ),
    "norm of directions": (DIRECTIONS, Normalizer(), StandardScaler(), SelectKBest(k=6), SVC()),
    "largest of directions": (DIRECTIONS, Normalizer("max"), LinearSVC()),
    "clipped": (DIRECTIONS, MinMaxScaler(clip=True), LogisticRegression()),
    "perceptrons": (DIRECTIONS, MLPClassifier((8,), tol=0.01, random_state=1)),
    "forest": (DIRECTIONS, FOREST),
    "forest on words": (FOREST,),
    "extra trees": (DIRECTIONS, ExtraTreesClassifier(10, random_state=1)),
    "tree": (DIRECTIONS, DecisionTreeClassifier(random_state=1)),
    "boosted": (DIRECTIONS, GradientBoostingClassifier(n_estimators=10, random_state=1)),
    "neighbours": (DIRECTIONS, KNeighborsClassifier()),
    "gaussian": (DIRECTIONS, GaussianNB()),
    "multinomial": (MultinomialNB(),),
    "complement": (ComplementNB(),),
    "bernoulli": (BernoulliNB(),),
    "soft vote": (DIRECTIONS, VotingClassifier(MIXED, voting="soft", weights=[2, 1, 1])),
    "linear vote": (VotingClassifier(LINEAR, voting="soft", weights=[2, 1, 1, 1, 5]),),
    "boosted vote": (
        DIRECTIONS,
        VotingClassifier(
            [
                ("a", LinearDiscriminantAnalysis()),
                ("b", GradientBoostingClassifier(n_estimators=5, random_state=1)),
            ],
            voting="soft",
        ),
    ),
    "stack": (StackingClassifier([("a", LinearSVC()), ("b", MultinomialNB())], cv=2),),
    "linear stack of all": (
        StackingClassifier([("a", LinearSVC()), ("b", MultinomialNB())], cv=2, passthrough=True),
    ),
    "stack of all": (
        DIRECTIONS,
        StackingClassifier([("a", SVC()), ("b", GaussianNB())], FOREST, cv=2, passthrough=True),
    ),
    "one by one": (OneVsRestClassifier(LinearSVC()),),
    "frozen": (CalibratedClassifierCV(FrozenEstimator(LinearSVC()), method="isotonic"),),
}


def made(name: str, labels: int = 3) -> Any:
    """The pipeline of that name, fitted."""
    steps = [clone(step) for step in ESTIMATORS[name]]
    if name == "frozen":
        fitted_before = fitted(TfidfVectorizer(analyzer="char"), LinearSVC(), labels=labels)
        frozen = FrozenEstimator(fitted_before.steps[-1][1])
        steps = [CalibratedClassifierCV(frozen, method="isotonic")]
    return fitted(TfidfVectorizer(analyzer="char"), *steps, labels=labels)
