WITH `table_0` AS (
  SELECT
    CAST(`source`.`tags` AS ARRAY<STRING>) AS `c2_tags`,
    CAST(`source`.`id` AS BIGINT) AS `c0_id`
  FROM shop.Customers AS `source`
), `entities` AS (
  SELECT
    `own`.`c0_id` AS `entity`,
    NOT `own`.`c0_id` IS NULL AS `has_key`,
    NOT `own`.`c2_tags` IS NULL AS `list_is_there`
  FROM `table_0` AS `own`
), `elements` AS (
  SELECT
    `held`.`entity`,
    `item`.`value` AS `value`,
    MIN(`item`.`first`) AS `first`
  FROM (
    SELECT
      `own`.`c0_id` AS `entity`,
      `own`.`c2_tags` AS `list`
    FROM `table_0` AS `own`
  ) AS `held`
  LATERAL VIEW
  POSEXPLODE(`held`.`list`) item AS `first`, `value`
  WHERE
    NOT `item`.`value` IS NULL
  GROUP BY
    `held`.`entity`,
    `item`.`value`
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
    `entities`.`list_is_there` AS `present`,
    `listed`.`first`
  FROM `pairs`
  JOIN `bounds`
    ON `bounds`.`anchor` = `pairs`.`anchor`
  JOIN `entities`
    ON `entities`.`entity` = `pairs`.`entity`
  LEFT JOIN `elements` AS `listed`
    ON `listed`.`entity` = `pairs`.`entity`
)
SELECT
  `labelled`.`entity` AS `ENTITY`,
  COALESCE(
    TRANSFORM(
      ARRAY_SORT(
        COLLECT_LIST(NAMED_STRUCT('place', `labelled`.`first`, 'value', `labelled`.`target`)) FILTER(WHERE
          NOT `labelled`.`target` IS NULL)
      ),
      pair -> pair.value
    ),
    CAST(ARRAY() AS ARRAY<STRING>)
  ) AS `TARGET`
FROM `labelled`
WHERE
  `labelled`.`present`
GROUP BY
  `labelled`.`entity`
