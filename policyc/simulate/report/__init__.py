"""What a simulation shows: tables, JSON, pages."""
