"""Speed against bounds and against other libraries: `python -m bench`, or by pytest-benchmark `pytest bench`.

Each `bench_*.py` says what is measured, as lines (`_measure.Line`) or as finished rows; `__main__.py` runs and shows
them. Nothing here is installed, and nothing in the package imports it.
"""
