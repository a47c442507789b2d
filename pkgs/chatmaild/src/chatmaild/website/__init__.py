"""The website: Markdown pages and the relay's own figures in, static files out."""
