-- source: shop
-- key: id

select id, customer_id, product, quantity, total_cents, status, ordered_at
from orders
