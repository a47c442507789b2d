"""Generates the website: static HTML from Markdown pages and facts about the relay."""
