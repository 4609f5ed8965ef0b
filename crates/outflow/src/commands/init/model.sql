-- source: shop
-- key: id

-- One read-only SELECT. The key tells records apart; it must be unique and not null.
select
  id,
  email,
  name,
  plan,
  created_at
from customers
