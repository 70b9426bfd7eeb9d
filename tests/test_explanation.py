"""The most similar digits, against a loop that looks at each."""

import numpy as np

import digitcore
from digitcore.explanation import nearest_rows


def test_against_a_loop() -> None:
    classifier = digitcore.load_classifier("compact")
    digits = digitcore.load_digits("uci-digits")
    features = classifier.features(digits.images[:200])
    image = digits.images[200]
    rows, similarities = nearest_rows(classifier, image, reference_features=features, count=5)
    wanted = classifier.features(image[np.newaxis])[0].astype(np.float64)
    by_hand = [float(row @ wanted / np.sqrt((row @ row) * (wanted @ wanted))) for row in features.astype(np.float64)]
    assert rows.tolist() == np.argsort(by_hand)[::-1][:5].tolist()
    np.testing.assert_allclose(similarities, np.sort(by_hand)[::-1][:5], atol=1e-5)


def test_a_digit_is_most_like_itself() -> None:
    classifier = digitcore.load_classifier("compact")
    images = digitcore.load_digits("uci-digits").images[:50]
    rows, similarities = nearest_rows(classifier, images[17], reference_features=classifier.features(images), count=1)
    assert rows.tolist() == [17]
    np.testing.assert_allclose(similarities, 1, atol=1e-5)
