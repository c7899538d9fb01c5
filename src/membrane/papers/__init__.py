"""Published claims: the rows of papers' tables, and what training them gave."""
