"""What is shown of limits and of runs at width n: results, comparisons."""
