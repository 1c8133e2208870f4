"""What continuous integration reads of an evaluation: JUnit XML, and a summary for a pull request."""
