"""Newton steps on smooth objectives: trust regions, from Hessians and from products with them."""
