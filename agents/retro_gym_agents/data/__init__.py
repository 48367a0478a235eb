"""What records hold for learning: examples of what each role wrote, and exports for other trainers."""
