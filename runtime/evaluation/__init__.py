"""Base against tuned, question by question: what is asked, how it is measured, and how sure the difference is."""
