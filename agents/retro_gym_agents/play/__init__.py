"""Playing: what writes reflections, and many episodes side by side."""
