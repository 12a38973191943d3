"""The report as a page: charts, words and the template."""
