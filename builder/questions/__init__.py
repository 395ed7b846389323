"""Where questions about a workspace are asked: its samples, drops and reviews as SQL views."""
