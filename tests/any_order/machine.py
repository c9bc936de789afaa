"""Everything that can happen to workers, in any order that Hypothesis finds."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.any_order.world import Call, Ending, Happening, Kind, Twist, World

WHO = st.integers(0, 5)
# What is drawn more often stands here more often.
BEFALLS: tuple[Kind, ...] = (
    *("posts", "posts", "broken post", "hidden post", "hidden posts show"),
    *("start", "start", "kill", "stop", "evict", "rebalance", "time out"),
    *("late calls come", "leader goes", "leader comes", "leader comes"),
)
TURNS: tuple[Kind, ...] = (
    *("calm", "all work", "all poll", "all commit"),
    *("poll", "prepare", "infer", "infer last"),
)
STORMS: tuple[Kind, ...] = (
    *("rebalance", "rebalance", "time out", "evict", "start", "stop", "kill", "late calls come"),
    *("all poll", "all work", "all commit", "calm"),
)
TWISTS: tuple[tuple[Call, Ending], ...] = (
    *(("begin", "fails"), ("begin", "is not answered"), ("begin", "dies after")),
    *(("committed", "fails"), ("committed", "dies"), ("send", "fails"), ("send", "dies after")),
    *(("settle", "fails"), ("settle", "is not answered"), ("settle", "dies")),
    *(("offsets", "fails"), ("offsets", "is not answered"), ("offsets", "comes late")),
    *(("offsets", "dies"), ("abort", "fails"), ("abort", "dies")),
    *(("commit", "fails"), ("commit", "fails"), ("commit", "comes late")),
    *(("commit", "is not answered"), ("commit", "is not answered")),
    *(("commit", "dies"), ("commit", "dies after")),
)
AMID: tuple[Call, ...] = ("begin", "send", "settle", "offsets", "commit")


def happenings(kinds: tuple[Kind, ...]) -> st.SearchStrategy[Happening]:
    """Something of these kinds."""
    return st.builds(Happening, st.sampled_from(kinds), WHO)


TWISTED = st.builds(
    lambda who, twist: Happening("commit", who, (Twist(*twist),)), WHO, st.sampled_from(TWISTS)
)
MEANWHILE = st.lists(happenings(STORMS) | TWISTED, min_size=1, max_size=4).map(tuple)


class AnyOrder(RuleBasedStateMachine):
    """Each source record has at most one outcome at all times, and one in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.happen(Happening("start", 0), Happening("start", 1), Happening("posts", 2))

    @rule(happening=happenings(BEFALLS))
    def befall(self, happening: Happening) -> None:
        """Let something happen to the workers."""
        self.world.happen(happening)

    @rule(happening=happenings(TURNS))
    def take_turns(self, happening: Happening) -> None:
        """Let the workers work."""
        self.world.happen(happening)

    @rule(who=WHO)
    def a_poll_fails(self, who: int) -> None:
        """The broker does not answer a worker."""
        self.world.happen(Happening("poll", who, (Twist("poll", "fails"),)))

    @rule(happening=TWISTED)
    def a_commit_fails(self, happening: Happening) -> None:
        """A commit comes to a bad end, or seems to."""
        self._fill()
        self.world.happen(happening)

    @rule(who=WHO, call=st.sampled_from(AMID), meanwhile=MEANWHILE)
    def much_happens_amid_a_commit(
        self, who: int, call: Call, meanwhile: tuple[Happening, ...]
    ) -> None:
        """The commit thread stands still while others, and its own poll thread, go on."""
        self._fill()
        self.world.happen(Happening("commit", who, (Twist(call, "goes on", meanwhile),)))

    @invariant()
    def outcomes_and_offsets_agree(self) -> None:
        """See that what was passed has one outcome, and nothing else has any."""
        self.world.check()

    def teardown(self) -> None:
        """End all faults, and see that every record comes to its outcome."""
        self.world.drain()

    def _fill(self) -> None:
        """Bring about that there is something to commit."""
        self.world.happen(Happening("calm"), Happening("posts", 3), Happening("all work"))
