"""A small database for tests of MySQL's language."""

import csv
import io

from retro_gym_envs.intercode_sql.mysql.database import Column, Database, Table
from retro_gym_envs.intercode_sql.mysql.engine import execute

# hp is text: 95, 150, 18, 0 as numbers.
CARS = """
1,Alpha,95,1970,2001-05-06,2001-05-06 00:00:00,10.5,1
2,beta,150,1971,2002-01-31,2002-01-31 12:30:00,20.0,2x
3,BETA,18abc,1972,2000-02-29,2000-02-29 01:02:03,,x
4,gamma ,null,1973,,,5.0,
5,Élan,,1970,2001-05-06,2003-01-01 23:59:59,7.25,3.0
"""
COLUMNS = (
    Column("id", "int", False, "PRI"),
    Column("name", "varchar(20)"),
    Column("hp", "text"),
    Column("year", "int"),
    Column("made", "date"),
    Column("seen", "datetime"),
    Column("price", "double"),
    Column("maker", "text"),
)


def cell(column, said):
    if not said:
        return None
    return int(said) if column.type == "int" else float(said) if column.type == "double" else said


def make_shop():
    rows = list(csv.reader(io.StringIO(CARS.strip("\n"))))
    cars = tuple(tuple(cell(column, said) for column, said in zip(COLUMNS, row, strict=True)) for row in rows)
    makers = ((1, "europe"), (2, "Asia"), (3, "ASIA"), (0, "nil"))
    label = (Column("id", "int", False, "PRI"), Column("label", "text"))
    return Database("shop", (Table("cars", COLUMNS, cars), Table("makers", label, makers)))


def rows(database, sql):
    result = execute(database, sql)
    assert result.error is None, result.error
    return list(result.rows)
