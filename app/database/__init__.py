"""The database: its engine, its tables and one writer that groups commits."""
