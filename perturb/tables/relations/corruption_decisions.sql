-- Decisions on corrupted images. Those whose images passed through JPEG have another name.
CREATE TEMP VIEW corruption_decisions AS
FROM decisions
WHERE is_corruption(perturbation);
