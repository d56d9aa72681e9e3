"""Class activation methods for any function: twelve ways to ask where in its input a net saw a class. Plain arrays in and out.

`split` says how a net is handed over, `targets` what is asked, `maps` how maps are finished; the other modules are the methods.
"""
