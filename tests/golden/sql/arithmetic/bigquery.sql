WITH `table_0` AS (
  SELECT
    CAST(`source`.`id` AS INT64) AS `c0_id`
  FROM shop.Customers AS `source`
), `table_1` AS (
  SELECT
    CASE
      WHEN NOT `source`.`time` IS NULL
      THEN CAST(LEAST(
        GREATEST(UNIX_MICROS(CAST(`source`.`time` AS TIMESTAMP)), (
          -9223372036854775
        )),
        9223372036854775
      ) AS INT64) * 1000
    END AS `c3_time`,
    CASE
      WHEN IS_NAN(CAST(`source`.`amount` AS FLOAT64))
      THEN NULL
      ELSE CAST(`source`.`amount` AS FLOAT64)
    END AS `c4_amount`,
    CAST(`source`.`customer` AS INT64) AS `c1_customer`
  FROM `shop`.`orders` AS `source`
), `entities` AS (
  SELECT
    `own`.`c0_id` AS `entity`,
    NOT `own`.`c0_id` IS NULL AS `has_key`
  FROM `table_0` AS `own`
), `fact_0` AS (
  SELECT
    `up_0`.`c0_id` AS `entity`,
    CAST(`own`.`c3_time` AS INT64) AS `time`,
    CAST(`own`.`c4_amount` AS FLOAT64) AS `value`
  FROM `table_1` AS `own`
  JOIN `table_0` AS `up_0`
    ON `own`.`c1_customer` = `up_0`.`c0_id`
  WHERE
    NOT `own`.`c3_time` IS NULL AND NOT CAST(`own`.`c4_amount` AS FLOAT64) IS NULL
), `fact_1` AS (
  SELECT
    `up_0`.`c0_id` AS `entity`,
    CAST(`own`.`c3_time` AS INT64) AS `time`,
    1 AS `value`
  FROM `table_1` AS `own`
  JOIN `table_0` AS `up_0`
    ON `own`.`c1_customer` = `up_0`.`c0_id`
  WHERE
    NOT `own`.`c3_time` IS NULL
), `bounds` AS (
  SELECT
    CAST(`given`.`anchor` AS INT64) AS `anchor`,
    CAST(`given`.`low_0` AS INT64) AS `low_0`,
    CAST(`given`.`high_0` AS INT64) AS `high_0`,
    CAST(`given`.`low_1` AS INT64) AS `low_1`,
    CAST(`given`.`high_1` AS INT64) AS `high_1`,
    CAST(`given`.`timestamp` AS DATETIME) AS `timestamp`
  FROM UNNEST([
    STRUCT(
      0 AS `anchor`,
      1706659200000000000 AS `low_0`,
      1709251200000000000 AS `high_0`,
      1706659200000000000 AS `low_1`,
      1709251200000000000 AS `high_1`,
      '2024-01-31 00:00:00' AS `timestamp`
    ),
    STRUCT(
      1 AS `anchor`,
      1706659201000000000 AS `low_0`,
      1709251201000000000 AS `high_0`,
      1706659201000000000 AS `low_1`,
      1709251201000000000 AS `high_1`,
      '2024-01-31 00:00:01' AS `timestamp`
    )
  ]) AS `given`
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
    CASE
      WHEN NOT CASE
        WHEN ABS(
          (
            CAST(CASE
              WHEN IS_NAN(COALESCE(`value_0`.`value`, 0))
              THEN NULL
              ELSE COALESCE(`value_0`.`value`, 0)
            END AS FLOAT64) / NULLIF(CAST(COALESCE(`value_1`.`value`, 0) AS FLOAT64), CAST('0' AS FLOAT64))
          )
        ) <= CAST('1.7976931348623157e308' AS FLOAT64)
        THEN CAST(CASE
          WHEN IS_NAN(COALESCE(`value_0`.`value`, 0))
          THEN NULL
          ELSE COALESCE(`value_0`.`value`, 0)
        END AS FLOAT64) / NULLIF(CAST(COALESCE(`value_1`.`value`, 0) AS FLOAT64), CAST('0' AS FLOAT64))
      END IS NULL
      THEN CASE
        WHEN ABS(
          (
            CAST(CASE
              WHEN IS_NAN(COALESCE(`value_0`.`value`, 0))
              THEN NULL
              ELSE COALESCE(`value_0`.`value`, 0)
            END AS FLOAT64) / NULLIF(CAST(COALESCE(`value_1`.`value`, 0) AS FLOAT64), CAST('0' AS FLOAT64))
          )
        ) <= CAST('1.7976931348623157e308' AS FLOAT64)
        THEN CAST(CASE
          WHEN IS_NAN(COALESCE(`value_0`.`value`, 0))
          THEN NULL
          ELSE COALESCE(`value_0`.`value`, 0)
        END AS FLOAT64) / NULLIF(CAST(COALESCE(`value_1`.`value`, 0) AS FLOAT64), CAST('0' AS FLOAT64))
      END
    END AS `target`,
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
      SUM(`fact`.`value`) AS `value`
    FROM `pairs`
    JOIN `bounds`
      ON `bounds`.`anchor` = `pairs`.`anchor`
    JOIN `fact_0` AS `fact`
      ON `fact`.`entity` = `pairs`.`entity`
    WHERE
      `fact`.`time` > `bounds`.`low_0` AND `fact`.`time` <= `bounds`.`high_0`
    GROUP BY
      `pairs`.`entity`,
      `pairs`.`anchor`
  ) AS `value_0`
    ON `value_0`.`entity` = `pairs`.`entity` AND `value_0`.`anchor` = `pairs`.`anchor`
  LEFT JOIN (
    SELECT
      `pairs`.`entity`,
      `pairs`.`anchor`,
      COUNT(*) AS `value`
    FROM `pairs`
    JOIN `bounds`
      ON `bounds`.`anchor` = `pairs`.`anchor`
    JOIN `fact_1` AS `fact`
      ON `fact`.`entity` = `pairs`.`entity`
    WHERE
      `fact`.`time` > `bounds`.`low_1` AND `fact`.`time` <= `bounds`.`high_1`
    GROUP BY
      `pairs`.`entity`,
      `pairs`.`anchor`
  ) AS `value_1`
    ON `value_1`.`entity` = `pairs`.`entity` AND `value_1`.`anchor` = `pairs`.`anchor`
)
SELECT
  `labelled`.`entity` AS `ENTITY`,
  `labelled`.`timestamp` AS `TIMESTAMP`,
  CAST(`labelled`.`target` AS FLOAT64) AS `TARGET`
FROM `labelled`
WHERE
  ABS(CAST(`labelled`.`target` AS FLOAT64)) <= CAST('1.7976931348623157e308' AS FLOAT64)
