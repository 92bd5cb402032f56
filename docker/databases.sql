-- One database and one role a service. A role may log in and use its own database; its tables belong to
-- the owner, who migrates and grants it what a service needs. The passwords are for this machine alone.
CREATE ROLE quadrille_order LOGIN PASSWORD 'order';
CREATE ROLE quadrille_payment LOGIN PASSWORD 'payment';
CREATE ROLE quadrille_inventory LOGIN PASSWORD 'inventory';
CREATE ROLE quadrille_shipping LOGIN PASSWORD 'shipping';
CREATE ROLE quadrille_notification LOGIN PASSWORD 'notification';
CREATE DATABASE quadrille_order;
CREATE DATABASE quadrille_payment;
CREATE DATABASE quadrille_inventory;
CREATE DATABASE quadrille_shipping;
CREATE DATABASE quadrille_notification;
REVOKE CONNECT ON DATABASE quadrille_order, quadrille_payment, quadrille_inventory,
    quadrille_shipping, quadrille_notification FROM PUBLIC;
GRANT CONNECT ON DATABASE quadrille_order TO quadrille_order;
GRANT CONNECT ON DATABASE quadrille_payment TO quadrille_payment;
GRANT CONNECT ON DATABASE quadrille_inventory TO quadrille_inventory;
GRANT CONNECT ON DATABASE quadrille_shipping TO quadrille_shipping;
GRANT CONNECT ON DATABASE quadrille_notification TO quadrille_notification;
