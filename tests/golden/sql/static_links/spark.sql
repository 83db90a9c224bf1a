WITH `table_0` AS (
  SELECT
    CAST(`source`.`id` AS BIGINT) AS `c0_id`
  FROM `readers` AS `source`
), `table_1` AS (
  SELECT
    CAST(`source`.`book` AS BIGINT) AS `c2_book`,
    CAST(`source`.`id` AS BIGINT) AS `c0_id`,
    CAST(`source`.`reader` AS BIGINT) AS `c1_reader`
  FROM `loans` AS `source`
), `table_2` AS (
  SELECT
    CAST(`source`.`id` AS BIGINT) AS `c0_id`
  FROM `books` AS `source`
), `entities` AS (
  SELECT
    `own`.`c0_id` AS `entity`,
    NOT `own`.`c0_id` IS NULL AS `has_key`
  FROM `table_0` AS `own`
), `fact_0` AS (
  SELECT
    `up_0`.`c0_id` AS `entity`,
    `item`.`c0_id` AS `value`,
    ROW_NUMBER() OVER (
      PARTITION BY `up_0`.`c0_id`
      ORDER BY `own`.`c0_id` NULLS LAST, `own`.`c0_id` NULLS LAST
    ) AS `place`
  FROM `table_1` AS `own`
  JOIN `table_0` AS `up_0`
    ON `own`.`c1_reader` = `up_0`.`c0_id`
  JOIN `table_2` AS `item`
    ON `own`.`c2_book` = `item`.`c0_id`
  WHERE
    NOT `item`.`c0_id` IS NULL
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
    CASE WHEN TRUE THEN `listed`.`value` END AS `target`,
    NOT `listed`.`value` IS NULL AS `present`,
    `listed`.`first`
  FROM `pairs`
  JOIN `bounds`
    ON `bounds`.`anchor` = `pairs`.`anchor`
  JOIN `entities`
    ON `entities`.`entity` = `pairs`.`entity`
  LEFT JOIN (
    SELECT
      `pairs`.`entity`,
      `pairs`.`anchor`,
      `fact`.`value`,
      MIN(`fact`.`place`) AS `first`
    FROM `pairs`
    JOIN `bounds`
      ON `bounds`.`anchor` = `pairs`.`anchor`
    JOIN `fact_0` AS `fact`
      ON `fact`.`entity` = `pairs`.`entity`
    GROUP BY
      `pairs`.`entity`,
      `pairs`.`anchor`,
      `fact`.`value`
  ) AS `listed`
    ON `listed`.`entity` = `pairs`.`entity` AND `listed`.`anchor` = `pairs`.`anchor`
)
SELECT
  `labelled`.`entity` AS `ENTITY`,
  TRANSFORM(
    ARRAY_SORT(
      COLLECT_LIST(NAMED_STRUCT('place', `labelled`.`first`, 'value', `labelled`.`target`))
    ),
    pair -> pair.value
  ) AS `TARGET`
FROM `labelled`
WHERE
  `labelled`.`present` AND NOT `labelled`.`target` IS NULL
GROUP BY
  `labelled`.`entity`
