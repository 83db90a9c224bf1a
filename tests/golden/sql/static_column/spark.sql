WITH `table_0` AS (
  SELECT
    CAST(`source`.`country` AS STRING) AS `c1_country`,
    CAST(`source`.`id` AS BIGINT) AS `c0_id`
  FROM shop.Customers AS `source`
), `entities` AS (
  SELECT
    `own`.`c0_id` AS `entity`,
    NOT `own`.`c0_id` IS NULL AS `has_key`,
    `own`.`c1_country` AS `column`
  FROM `table_0` AS `own`
), `bounds` AS (
  SELECT
    CAST(`given`.`anchor` AS BIGINT) AS `anchor`
  FROM VALUES
    (0) AS `given`(`anchor`)
), `pairs` AS (
  SELECT
    `entities`.`entity`,
    CAST(0 AS BIGINT) AS `anchor`
  FROM `entities`
  WHERE
    `entities`.`has_key`
), `labelled` AS (
  SELECT
    `pairs`.`entity`,
    `pairs`.`anchor`,
    CASE WHEN NOT `entities`.`column` IS NULL THEN `entities`.`column` END AS `target`
  FROM `pairs`
  JOIN `bounds`
    ON `bounds`.`anchor` = `pairs`.`anchor`
  JOIN `entities`
    ON `entities`.`entity` = `pairs`.`entity`
)
SELECT
  `labelled`.`entity` AS `ENTITY`,
  `labelled`.`target` AS `TARGET`
FROM `labelled`
WHERE
  NOT `labelled`.`target` IS NULL
