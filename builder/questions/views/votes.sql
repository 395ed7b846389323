-- What each language identifier said about each text of a kept sample; `detected` is null where it
-- abstained. View: provenance.
CREATE VIEW votes AS
SELECT id, language, vote.field, vote.identifier, vote.detected
FROM (SELECT id, language, unnest(language_votes) AS vote FROM provenance)
