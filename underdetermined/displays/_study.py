"""The figures of a study, and figures as pictures for a page."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

from underdetermined._compat import check_matplotlib_support
from underdetermined.displays._comparison import draw_comparison
from underdetermined.displays._descent import DescentDisplay
from underdetermined.displays._spectrum import draw_spectra
from underdetermined.displays._width import WidthDisplay
from underdetermined.displays._width_axes import row_height
from underdetermined.displays._width_bounds import split_bounds
from underdetermined.study import Study

_FONT_SIZE = 14
_SMALL = 200_000  # bytes of SVG up to which it is preferred
_MANY_AXES = 8  # where it would be large anyway
_PIXELS = 2000  # across, of a PNG: twice the width of the page


def draw_study(study: Study) -> dict[str, Any]:
    """Draw the figures of a study.

    Parameters
    ----------
    study : Study
        What `underdetermined.study.study` returned.

    Returns
    -------
    dict of str to matplotlib Figure
        For "spectra", "descent", "width" and "scores", as far as the study has them.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Notes
    -----
    The figures belong to no window: save them with their ``savefig``. The user's style does not change them.
    """
    _check_matplotlib("draw_study")
    import matplotlib.style

    figures: dict[str, Any] = {}
    with matplotlib.style.context(["default", {"font.size": _FONT_SIZE, "axes.titlesize": _FONT_SIZE}]):
        if study.spectra is not None:
            figures["spectra"] = draw_spectra(study.spectra)
        if study.descent is not None:
            figures["descent"], ax = _figure(5.6)
            DescentDisplay.from_forecast(study.descent.forecast, study.descent.trajectory.value, ax=ax)
        if study.width is not None:
            bounds = study.width.minimum.bounds
            figures["width"], ax = _figure(5.0 + row_height() * sum(map(len, split_bounds(bounds))))
            WidthDisplay.from_measurement(study.width.measurement, bounds, ax=ax)
        if study.scores is not None:
            figures["scores"] = draw_comparison(study.scores)
    return figures


def encode_figure(figure: Any) -> tuple[str, int, int]:
    """Encode a figure as the address of an inline image: SVG with its text as outlines if that is small, else PNG.

    Parameters
    ----------
    figure : matplotlib Figure
        The figure.

    Returns
    -------
    address : str
        A ``data:`` address that needs no network.
    width, height : int
        Size of the image in pixels of a page.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    _check_matplotlib("encode_figure")
    import matplotlib.style

    width, height = figure.get_size_inches()
    # Ticks are made when a figure is saved, in the style of that moment.
    with matplotlib.style.context(["default", {"svg.fonttype": "path", "svg.hashsalt": "underdetermined"}]):
        kind, content = "svg+xml", b""
        if len(figure.axes) <= _MANY_AXES:
            content = _save(figure, format="svg", metadata={"Date": None})
        if not 0 < len(content) <= _SMALL:
            kind, content = "png", _save(figure, format="png", dpi=_PIXELS / width)
    size = (_PIXELS // 2, round(_PIXELS / 2 * height / width))
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}", *size


def _check_matplotlib(caller: str) -> None:
    try:
        check_matplotlib_support(caller)
    except ImportError as error:
        raise ImportError(f"{caller} needs matplotlib, which is missing: pip install 'underdetermined[plot]'") from error


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, height), layout="constrained")
    return figure, figure.subplots()


def _save(figure: Any, **options: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, facecolor="white", **options)
    return buffer.getvalue()
