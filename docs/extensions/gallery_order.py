"""The gallery's order: all on one page, that of the course, what is for users, what is for implementers."""

from sphinx_gallery.sorting import FileNameSortKey

ORDER = (
    "copi_on_one_page.py",
    "plot_correlated_inputs.py",
    "decorrelate_a_gaussian.py",
    "one_step_by_hand.py",
    "plot_feedback_alignment.py",
    "a_credit_method_of_your_own.py",
    "plot_two_forms_of_inference.py",
    "stability_of_implicit_sgd.py",
    "plot_receptive_fields.py",
    "plot_compress.py",
    "switch_to_cupy.py",
    "test_your_own_torch.py",
    "test_your_own_jax.py",
    "vectors_with_torch.py",
)


class AsInTheCourse(FileNameSortKey):
    """Sort examples; one that is not in the list has no place, and so is an error."""

    def __call__(self, filename: str) -> str:
        """Return the place as a text that sorts."""
        return f"{ORDER.index(filename):03}"
