"""What a release says about itself: card, licences, quality report, plots, metadata, changelog."""
