"""Whether figures can be drawn: matplotlib is in an extra, and refuses to be imported with a wrong $MPLBACKEND."""


def need_matplotlib() -> None:
    """Import matplotlib.

    Raises:
        ImportError: it is not installed, or can't be used; the message says what to do.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(f'{error.name} is not installed: pip install "copi_ref[demo]"', name=error.name) from error
    except ValueError as error:
        raise ImportError(f"matplotlib can't be used: {error}: unset MPLBACKEND", name="matplotlib") from error
