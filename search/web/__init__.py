"""The search page: HTML, styles and ES modules as the browser gets them, without a build step."""
