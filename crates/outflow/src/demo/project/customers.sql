-- source: shop
-- key: id

-- Each customer with what they bought.
select
  c.id,
  c.email,
  c.first_name,
  c.last_name,
  c.city,
  c.country,
  c.plan,
  c.newsletter,
  c.signed_up_on,
  count(o.id) as orders,
  coalesce(sum(o.total_cents), 0) as revenue_cents
from customers c
left join orders o on o.customer_id = c.id
group by c.id
