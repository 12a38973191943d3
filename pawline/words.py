"""Format numbers and names for readers."""


def percent(fraction: float | None) -> str:
    """A percentage with one decimal; 0.0% and 100.0% only for exactly 0 and 1; – for None."""
    if fraction is None:
        return "–"
    if 0 < fraction < 0.0005:
        return "<0.1%"
    return ">99.9%" if 0.9995 <= fraction < 1 else f"{fraction:.1%}"


def plural(number: int, noun: str) -> str:
    """1 file, 2 files, 3 classes"""
    ending = "es" if noun.endswith("s") else "s"
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}{ending}"


def number(value: float) -> str:
    """A number with at least three digits: 0.312, 12.3, 1,234"""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def file_size(num_bytes: float) -> str:
    """512 B, 1.5 kB, 20 MB, 3 GB"""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= size:
            return f"{num_bytes / size:.3g} {unit}"
    return f"{num_bytes:.0f} B"


def visible(text: object) -> str:
    """Escape unprintable characters: file names can contain line feeds, right-to-left marks, invalid bytes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in str(text)
    )


def short(text: object, limit: int = 40) -> str:
    """Shorten to at most `limit` characters. The middle is cut, since names differ at their ends."""
    text = visible(text)
    tail = limit // 2
    return text if len(text) <= limit else f"{text[: limit - tail - 1]}…{text[-tail:]}"
