"""Joins the stages: the only room where two of them meet."""
