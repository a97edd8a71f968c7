"""The image that the image recognition flow carries along."""

from __future__ import annotations

# A scanned seven of scikit-learn's digits, 8×8 pixels drawn eight times as large, as a PNG file in base64.
DIGIT = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABACAAAAACPAi4CAAAAkklEQVR42mNkQAMCUPo8lFZAk/8ApRWhNBMDhWDUgMFgAAu6wHw0fiOU9ofSD9DS"
    "w2ggDgsDGNEF3kPpQii9AErfh9KBUPrCaCAO6/IgEUofgNIBaPn/wWggjojygAGtfWCAJj4BrbwYDcThWR4ooMX/B7T6oXE0EEdUebAerR4oHA3E"
    "EVUeGKC1CxRHA3EkGAAAH5sUF4J+YdgAAAAASUVORK5CYII="
)
