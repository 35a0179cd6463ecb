"""Exact numbers: decimals as texts become fractions, and are rounded only where the documents say so. No floats.

Half up means half away from zero: a credit note is its invoice turned round.
"""

from fractions import Fraction

# Digits of the minor unit (ISO 4217) where they are not two.
DIGITS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "XOF": 0, "TND": 3, "BHD": 3, "KWD": 3, "JOD": 3, "CLF": 4}
QUANTITY_DIGITS = 9


def digits_of(currency):
    """How many digits an amount of the currency has after the point."""
    return DIGITS.get(currency, 2)


def number(text):
    """The fraction that a decimal text stands for; a number that is no text is a fault of anyone who wrote it."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not a text")
    return Fraction(text)


def toward_zero(value, digits):
    scaled = abs(value) * 10**digits
    whole = Fraction(scaled.numerator // scaled.denominator, 10**digits)
    return -whole if value < 0 else whole


def half_up(value, digits):
    scaled = abs(value) * 10**digits
    whole = Fraction((2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator), 10**digits)
    return -whole if value < 0 else whole


def half_even(value, digits):
    return Fraction(round(value * 10**digits), 10**digits)  # Fraction rounds half to even


def rounded(value, rule, digits):
    """By the rule of a price book."""
    return {"half_up": half_up, "half_even": half_even}[rule](value, digits)


def quantity(value):
    """As quantities of lines are rounded: half up, to nine digits."""
    return half_up(value, QUANTITY_DIGITS)


def show(value):
    """A fraction as people read it: a decimal where it is one."""
    if value is None:
        return "none"
    if not isinstance(value, Fraction):
        return str(value)
    for digits in range(0, 31):
        if (value * 10**digits).denominator == 1:
            scaled = abs(value * 10**digits).numerator
            text = str(scaled).rjust(digits + 1, "0")
            sign = "-" if value < 0 else ""
            return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)
    return f"{value} (about {show(half_up(value, 12))})"
