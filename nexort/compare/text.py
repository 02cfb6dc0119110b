def render(v): return ""
