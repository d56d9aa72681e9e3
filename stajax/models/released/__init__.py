"""The authors' nets as released, for their checkpoints: two generations, December 2021 and 2022, which do not share tensors.

They differ from the paper's equations in many places. What looks odd is kept because the numbers need it, and named where it
stands. They are for predictions, class maps and parity; new nets are of the paper's edition (`stajax.models`).
"""
