import numpy as np
import pytest

from luthier.stats.confident import (
    calibrated,
    class_thresholds,
    confident_joint,
    evidence,
    expected_wrong,
    likely_wrong,
)

# Worked by hand. Thresholds: class 0 (0.9 + 0.8 + 0.1) / 3 = 0.6, class 1 (0.7 + 0.6 + 0.2) / 3 = 0.5.
SIX = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.4, 0.6], [0.8, 0.2]])
SIX_LABELS = np.array([0, 0, 0, 1, 1, 1])


def test_thresholds_joint_and_expectation_of_a_case_worked_by_hand():
    np.testing.assert_allclose(class_thresholds(SIX, SIX_LABELS), [0.6, 0.5])
    # Row 2 is labelled 0 and reaches the threshold of 1; row 5 is labelled 1 and reaches that of 0.
    assert confident_joint(SIX, SIX_LABELS).tolist() == [[2, 1], [1, 2]]
    assert expected_wrong(confident_joint(SIX, SIX_LABELS), SIX_LABELS).tolist() == [[0, 1], [1, 0]]
    assert likely_wrong(SIX, SIX_LABELS).tolist() == [False, False, True, False, False, True]


def test_a_row_below_every_threshold_is_not_counted_and_lines_are_scaled_to_all_rows():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.05, 0.95], [0.5, 0.5], [0.05, 0.95], [0.05, 0.95]])
    labels = np.array([0, 0, 0, 0, 1, 1])
    # Thresholds 0.6125 and 0.95: row 3 reaches none. Three of four rows labelled 0 count, one of them is 1.
    joint = confident_joint(probabilities, labels)
    assert joint.tolist() == [[2, 1], [0, 2]]
    assert expected_wrong(joint, labels).tolist() == [[0, 1], [0, 0]]  # 4 / 3, rounded


def test_an_unused_class_has_an_infinite_threshold_and_no_rows():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1]])
    labels = np.array([0, 1])
    assert np.isinf(class_thresholds(probabilities, labels)[2])
    assert confident_joint(probabilities, labels)[2].sum() == 0


def plain_likely_wrong(probabilities, labels):
    """The two rules of the paper, row by row."""
    rows, classes = probabilities.shape
    wrong = expected_wrong(confident_joint(probabilities, labels), labels)
    by_class, by_rate = set(), set()
    for label in range(classes):
        members = [row for row in range(rows) if labels[row] == label]
        ranked = sorted(members, key=lambda row: (probabilities[row, label], row))
        by_class |= set(ranked[: wrong[label].sum()])
        for other in set(range(classes)) - {label}:
            ranked = sorted(members, key=lambda row: (probabilities[row, label] - probabilities[row, other], row))
            by_rate |= set(ranked[: wrong[label, other]])
    return by_class & by_rate


def world(rng, *, rows=400, classes=3, noise=0.1, sharpness=6.0, blur=0.0):
    """Calibrated probabilities, labels, and which labels were made wrong: `noise` of them, to any other class.

    `blur` of the rows say little: what natural doubt looks like.
    """
    truth = rng.integers(0, classes, rows)
    odds = rng.normal(size=(rows, classes))
    odds[np.arange(rows), truth] += np.where(rng.random(rows) < blur, 0.5, sharpness)
    clean = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    drawn = (clean.cumsum(axis=1) > rng.random((rows, 1))).argmax(axis=1)
    is_wrong = rng.random(rows) < noise
    labels = np.where(is_wrong, (drawn + rng.integers(1, classes, rows)) % classes, drawn)
    return (1 - noise) * clean + noise / (classes - 1) * (1 - clean), labels, is_wrong


@pytest.mark.parametrize("seed", range(5))
def test_what_is_picked_is_what_the_paper_says_row_by_row(seed):
    probabilities, labels, _ = world(np.random.default_rng(seed), classes=2 + seed % 3, blur=0.3)
    assert set(np.flatnonzero(likely_wrong(probabilities, labels))) == plain_likely_wrong(probabilities, labels)


def test_planted_wrong_labels_are_picked():
    probabilities, labels, is_wrong = world(np.random.default_rng(20), rows=2000)
    picked = likely_wrong(probabilities, labels)
    assert (picked & is_wrong).sum() / is_wrong.sum() > 0.9 and (picked & is_wrong).sum() / picked.sum() > 0.9


def test_evidence_of_a_case_worked_by_hand(monkeypatch):
    """The power is 1 and the three surest of ten rows all agree: noise = 0.5 / 4."""
    monkeypatch.setattr("luthier.stats.confident.calibrated", lambda probabilities, labels: probabilities)
    probabilities = np.array([[0.99, 0.01]] * 8 + [[0.02, 0.98], [0.6, 0.4]])
    labels = np.array([0] * 8 + [0, 1])
    found = evidence(probabilities, labels)
    assert found.likely.tolist() == [1] * 9 + [0]
    np.testing.assert_allclose(found.odds, [0] * 8 + [0.125 * 0.98 / 0.02, 0.125 * 0.6 / 0.4])
    np.testing.assert_allclose(found.confidence[8:], [1.0, 0.1875])


@pytest.mark.parametrize("blur", [0.0, 0.4])
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_confidence_is_how_often_the_label_is_wrong(noise, blur):
    probabilities, labels, is_wrong = world(np.random.default_rng(30), rows=30_000, noise=noise, blur=blur)
    confidence = evidence(probabilities, labels).confidence
    for low, high in ((0.1, 0.3), (0.3, 0.6), (0.6, 1.01)):
        among = (confidence >= low) & (confidence < high)
        if among.sum() > 100:
            assert is_wrong[among].mean() == pytest.approx(confidence[among].mean(), abs=0.12)
    assert is_wrong[confidence < 0.1].mean() < noise / 2


def test_natural_doubt_alone_accuses_hardly_any():
    probabilities, labels, _ = world(np.random.default_rng(31), rows=5_000, noise=0.0, blur=0.5)
    assert (probabilities.argmax(axis=1) != labels).mean() > 0.15
    assert (evidence(probabilities, labels).confidence > 0.5).mean() < 0.002


def test_calibration_finds_the_power_that_was_taken_away():
    probabilities, labels, _ = world(np.random.default_rng(32), rows=20_000, sharpness=2.0)
    flat = probabilities**0.4 / (probabilities**0.4).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibrated(flat, labels), probabilities, atol=0.02)
