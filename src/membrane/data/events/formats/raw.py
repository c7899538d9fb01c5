"""The header of Prophesee's RAW files (`.raw`), which says how their events are encoded."""

from membrane.data.events.formats.source import EventFile, Field, Header

ENCODINGS = {"2.0": "EVT2", "3.0": "EVT3"}
SIDE = 1 << 11  # x and y have 11 bits


def raw_header(file: EventFile) -> Header:
    """Return the `%` lines at the start of a RAW file, to the line `% end` where there is one."""
    return file.header(b"% ", last=b"% end")


def raw_encoding(file: EventFile, header: Header) -> str:
    """Return EVT2 or EVT3, as `% format EVT3;…` or `% evt 3.0` says. Raises DataError for others, and for none."""
    field = header.field("format") or header.field("evt")
    if field is None:
        raise file.damaged(0, "the header does not say how events are encoded; EVT2 and EVT3 can be read")
    name = field.text.partition(";")[0].strip()
    encoding = ENCODINGS.get(name, name)
    if encoding not in ("EVT2", "EVT3"):
        raise file.damaged(field.byte, f"events encoded as {name[:40]!r}; EVT2 and EVT3 can be read")
    return encoding


def raw_sensor(file: EventFile, header: Header) -> tuple[int, int]:
    """Return (width, height) from `% geometry 1280x720` or `% format …;height=720;width=1280`, or what 11 bits address.

    Raises DataError if the header says anything else of them.
    """
    field = header.field("geometry")
    if field is not None:
        sides = dict(zip(("width", "height"), field.text.partition("x")[::2], strict=True))
    else:
        field = header.field("format") or Field("", 0)
        sides = dict(option.strip().split("=", 1) for option in field.text.split(";") if "=" in option)
    width, height = (
        file.side(Field(sides[name].strip(), field.byte)) if name in sides else SIDE for name in ("width", "height")
    )
    return width, height
