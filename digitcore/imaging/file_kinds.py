"""Kinds of file that are not read but are often taken for pictures, told by their first bytes, whatever their name."""

__all__ = ["unread_kind"]

_BRANDS = {
    b"heic": "a HEIC file", b"heix": "a HEIC file", b"heim": "a HEIC file", b"heis": "a HEIC file",
    b"hevc": "a HEIC file", b"hevx": "a HEIC file", b"hevm": "a HEIC file", b"hevs": "a HEIC file",
    b"avif": "an AVIF file", b"avis": "an AVIF file", b"mif1": "a HEIF file", b"msf1": "a HEIF file",
}  # fmt: skip
_SIGNATURES = {
    b"\0\0\0\x0cJXL ": "a JPEG XL file",
    b"\xff\x0a": "a JPEG XL file",
    b"%PDF-": "a PDF",
    b"<svg": "an SVG file",
}
_MOST_BRANDS = 16
_LONGEST_PROLOGUE = 1_000  # bytes before the first element of an SVG file


def unread_kind(data: bytes) -> str | None:
    """What a file is, with its article, where it is of a known kind that is not read; None for any other.

    HEIC and AVIF files begin with a box "ftyp" of brands, of which any but the first may be the one that tells.
    AVIF is not read since the size that such a file declares says little of what its decoder takes.

    Source: ISO/IEC 23008-12, "Image File Format", and the AV1 Image File Format, for the brands.
    """
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MOST_BRANDS)
        brands = [data[8:12], *(data[place : place + 4] for place in range(16, end, 4))]
        known = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
        return next((kind for kind in known if kind != "a HEIF file"), known[0] if known else None)
    start = data[:_LONGEST_PROLOGUE].lstrip()
    if start.startswith(b"<?xml") and b"<svg" in start:
        return "an SVG file"
    return next((kind for signature, kind in _SIGNATURES.items() if start.startswith(signature)), None)
