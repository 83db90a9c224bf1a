WITH `table_0` AS (
  SELECT
    CAST(`source`.`id` AS BIGINT) AS `c0_id`
  FROM shop.Customers AS `source`
), `table_1` AS (
  SELECT
    CASE
      WHEN NOT `source`.`time` IS NULL
      THEN CAST(LEAST(
        GREATEST(
          CASE
            WHEN TYPEOF(`source`.`time`) = 'timestamp'
            THEN UNIX_MICROS(CAST(`source`.`time` AS TIMESTAMP))
            ELSE CAST(DATEDIFF(CAST(`source`.`time` AS DATE), CAST('1970-01-01' AS DATE)) AS BIGINT) * 86400000000 + CAST(HOUR(`source`.`time`) AS BIGINT) * 3600000000 + CAST(MINUTE(`source`.`time`) AS BIGINT) * 60000000 + CAST(EXTRACT(SECOND FROM `source`.`time`) * 1000000 AS BIGINT)
          END,
          (
            -9223372036854775
          )
        ),
        9223372036854775
      ) AS BIGINT) * 1000
    END AS `c3_time`,
    CAST(`source`.`kind` AS STRING) AS `c5_kind`,
    CAST(`source`.`id` AS BIGINT) AS `c0_id`,
    CAST(`source`.`customer` AS BIGINT) AS `c1_customer`
  FROM `shop`.`orders` AS `source`
), `entities` AS (
  SELECT
    `own`.`c0_id` AS `entity`,
    NOT `own`.`c0_id` IS NULL AS `has_key`
  FROM `table_0` AS `own`
), `fact_0` AS (
  SELECT
    `up_0`.`c0_id` AS `entity`,
    CAST(`own`.`c3_time` AS BIGINT) AS `time`,
    `own`.`c5_kind` AS `value`,
    ROW_NUMBER() OVER (
      PARTITION BY `up_0`.`c0_id`
      ORDER BY `own`.`c3_time` NULLS LAST, `own`.`c0_id` NULLS LAST, `own`.`c0_id` NULLS LAST
    ) AS `place`
  FROM `table_1` AS `own`
  JOIN `table_0` AS `up_0`
    ON `own`.`c1_customer` = `up_0`.`c0_id`
  WHERE
    NOT `own`.`c3_time` IS NULL AND NOT `own`.`c5_kind` IS NULL
), `bounds` AS (
  SELECT
    CAST(`given`.`anchor` AS BIGINT) AS `anchor`,
    CAST(`given`.`low_0` AS BIGINT) AS `low_0`,
    CAST(`given`.`high_0` AS BIGINT) AS `high_0`,
    CAST(`given`.`timestamp` AS TIMESTAMP_NTZ) AS `timestamp`
  FROM VALUES
    (0, 1706659200000000000, 1709251200000000000, '2024-01-31 00:00:00'),
    (1, 1706659201000000000, 1709251201000000000, '2024-01-31 00:00:01') AS `given`(`anchor`, `low_0`, `high_0`, `timestamp`)
), `pairs` AS (
  SELECT
    `entities`.`entity`,
    `bounds`.`anchor`
  FROM `entities`
  CROSS JOIN `bounds`
  WHERE
    `entities`.`has_key` AND TRUE
), `labelled` AS (
  SELECT
    `pairs`.`entity`,
    `pairs`.`anchor`,
    CASE WHEN TRUE THEN `listed`.`value` END AS `target`,
    NOT `listed`.`value` IS NULL AS `present`,
    `listed`.`first`,
    `bounds`.`timestamp`
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
    WHERE
      `fact`.`time` > `bounds`.`low_0` AND `fact`.`time` <= `bounds`.`high_0`
    GROUP BY
      `pairs`.`entity`,
      `pairs`.`anchor`,
      `fact`.`value`
  ) AS `listed`
    ON `listed`.`entity` = `pairs`.`entity` AND `listed`.`anchor` = `pairs`.`anchor`
)
SELECT
  `labelled`.`entity` AS `ENTITY`,
  `labelled`.`timestamp` AS `TIMESTAMP`,
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
  `labelled`.`entity`,
  `labelled`.`timestamp`
