"""How often each image is the query image of a kept sample."""

from builder.ledger.ledger import Ledger


def query_image_counts(ledger: Ledger) -> dict[str, int]:
    """Number of kept samples of each query image, by its sha256."""
    rows = ledger.db.execute(
        "SELECT json_extract(CAST(sample AS TEXT), '$.query_image') AS name, count(*) "
        "FROM outcome WHERE reason IS NULL GROUP BY name HAVING name IS NOT NULL ORDER BY name"
    )
    return dict(rows.fetchall())
