# A table in memory: rows in, joins and totals out.
import sqlite3

con = sqlite3.connect(":memory:")
con.row_factory = sqlite3.Row
con.executescript("""
    create table orders (id integer primary key, customer text, total real, at text);
    create table customers (name text primary key, city text);
    create index by_customer on orders (customer);
""")
with con:
    con.executemany(
        "insert into customers values (?, ?)", [(f"c{n}", f"city {n % 7}") for n in range(40)]
    )
    for n in range(400):
        con.execute(
            "insert into orders (customer, total, at) values (:c, :t, :a)",
            {"c": f"c{n * 17 % 40}", "t": n * 1.25, "a": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}"},
        )
    con.execute("update orders set total = total + 1 where customer like 'c1%'")
    con.execute("delete from orders where id % 50 = 0")
rows = con.execute("""
    select city, count(*) as n, round(sum(total), 2) as total, max(at) as last
    from orders join customers on customer = name
    where total > ? group by city having n > 2 order by total desc limit 5
""", (20,)).fetchall()
words = con.execute(
    "select group_concat(upper(substr(name, 2)), '-') from (select name from customers order by 1)"
).fetchone()[0]
months = dict(con.execute("select strftime('%m', at), avg(total) from orders group by 1"))
return [{"json": dict(row)} for row in rows] + [{"json": {"words": words, "months": months}}]
