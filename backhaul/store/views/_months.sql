-- How long each step took, by the month in which returns were started; `chosen` says of which rows of `recon_cycle_times`.
WITH steps AS (
    SELECT
        c.merchant, c.warehouse, {{ month("c.created_at") }} AS month, s.step,
        CASE s.step
            {% for step in steps %}
            WHEN '{{ step }}' THEN c.hours_to_{{ step }}
            {% endfor %}
            ELSE c.hours_in_all
        END AS hours
    FROM recon_cycle_times c
    CROSS JOIN ({% for step in steps %}SELECT '{{ step }}' AS step UNION ALL {% endfor %}SELECT 'all') s
    WHERE {{ chosen }}
),
ranked AS (
    SELECT
        merchant, warehouse, month, step, hours,
        row_number() OVER (PARTITION BY merchant, warehouse, month, step ORDER BY hours) AS place,
        count(*) OVER (PARTITION BY merchant, warehouse, month, step) AS places
    FROM steps
    WHERE hours IS NOT NULL
)
SELECT
    merchant,
    warehouse,
    month,
    step,
    count(*) AS returns,
    avg(hours) AS mean_hours,
    max(CASE WHEN place = (places * 50 + 99) / 100 THEN hours END) AS p50_hours,
    max(CASE WHEN place = (places * 90 + 99) / 100 THEN hours END) AS p90_hours,
    max(CASE WHEN place = (places * 99 + 99) / 100 THEN hours END) AS p99_hours
FROM ranked
GROUP BY merchant, warehouse, month, step
