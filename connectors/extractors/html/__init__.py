"""HTML to pages: strategies behind one seam."""
