"""Model + suite -> completions, grades, KPIs with intervals, paired comparison, and a gate's verdict one can defend."""
