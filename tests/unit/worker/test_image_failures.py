"""What the setting `on_image_failure` says, and what it may not say."""

import pytest

from schemas.reasons import Reason
from worker.image_failures import BY_DEFAULT, MAY_PASS, Action, image_failures, written


@pytest.mark.parametrize("action", ["degrade", "dead-letter"])
def test_a_plain_action_is_for_all_reasons(action: str) -> None:
    """Nothing is tried again then, as in releases that knew no more."""
    failures = image_failures(action)
    assert {failures.action(reason) for reason in Reason} == {action}
    assert {failures.at_last(reason) for reason in Reason} == {action}


def test_by_default_only_what_may_pass_is_tried_again() -> None:
    """Then, and for all else, the text alone is labelled."""
    retried = {reason for reason in Reason if BY_DEFAULT.action(reason) == "retry"}
    assert retried == MAY_PASS
    assert {BY_DEFAULT.at_last(reason) for reason in Reason} == {"degrade"}


@pytest.mark.parametrize(
    ("setting", "damaged", "timeout", "at_last"),
    [
        ("image-damaged=dead-letter", "dead-letter", "retry", "degrade"),
        ("image-timeout=dead-letter", "degrade", "dead-letter", "dead-letter"),
        ("dead-letter,image-timeout=retry", "dead-letter", "retry", "dead-letter"),
        ("image-timeout=retry,degrade", "degrade", "retry", "degrade"),
        ("dead-letter,image-timeout=degrade", "dead-letter", "degrade", "degrade"),
    ],
)
def test_a_reason_may_be_named(
    setting: str, damaged: Action, timeout: Action, at_last: Action
) -> None:
    """All others go by the plain action, or by default; so does what was tried in vain."""
    failures = image_failures(setting)
    assert failures.action(Reason.IMAGE_DAMAGED) == damaged
    assert failures.action(Reason.IMAGE_TIMEOUT) == timeout
    assert failures.at_last(Reason.IMAGE_TIMEOUT) == at_last


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("retire", r"'retire' is no action: there are degrade, dead-letter"),
        ("retry", "retry is for single reasons"),
        ("image-tiemout=retry", r"'image-tiemout' is no reason \(is image-timeout meant\?\)"),
        ("no-text=degrade", "'no-text' is no reason"),
        ("image-timeout=again", "'again' is no action.*: there are degrade, dead-letter, retry"),
        ("image-damaged=retry", "image-damaged does not pass.*image-host-unavailable"),
        ("image-timeout=retry,image-timeout=degrade", "names a reason twice"),
        ("degrade,dead-letter", "two actions"),
        ("degrade, image-timeout=retry", "' image-timeout' is no reason"),
        ("", "'' is no action"),
    ],
)
def test_what_is_not_known_is_refused_by_name(setting: str, said: str) -> None:
    """So is a retry that can heal nothing."""
    with pytest.raises(ValueError, match=said):
        image_failures(setting)


@pytest.mark.parametrize("setting", ["degrade", "image-not-found=retry", "dead-letter"])
def test_what_is_written_reads_the_same(setting: str) -> None:
    """The settings show all that holds, the defaults among it."""
    failures = image_failures(setting)
    assert image_failures(written(failures)) == failures
