"""Named read-only queries of the catalogue; each returns plain values or frozen dataclasses, never live rows."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from catalogue.products_csv import ProductRow
from catalogue.tables import Listing, Model, Photo, Price, Product, ProductPhoto, Shop


@dataclass(frozen=True)
class Offer:
    """Where a product is sold. Price and availability are None where the shop does not say."""

    shop: str
    url: str
    price: Decimal | None
    currency: str
    available: bool | None
    sizes: dict[str, bool]


@dataclass(frozen=True)
class ProductCard:
    """What an answer shows of a product; `photos` are sha256 names, the first is the picture to show."""

    id: int
    brand: str
    name: str
    colour: str
    style_code: str
    shoe_type: str
    model_id: int | None
    model_name: str
    offers: tuple[Offer, ...]
    photos: tuple[str, ...]


@dataclass(frozen=True)
class ProductPhotoRow:
    """One photo of one product with what training and indexing need to know of both."""

    product_id: int
    sha256: str
    dhash: str
    product_key: str
    model_key: str
    brand: str
    shoe_type: str


def stats(session: Session) -> dict[str, int]:
    """Counts of shops, listings still sold, products and photos in use."""
    return {
        "shops": session.scalar(select(func.count()).select_from(Shop)) or 0,
        "listings": session.scalar(select(func.count()).select_from(Listing).where(Listing.gone_at.is_(None))) or 0,
        "products": session.scalar(select(func.count()).select_from(Product)) or 0,
        "photos": session.scalar(select(func.count(func.distinct(ProductPhoto.sha256)))) or 0,
        "models": session.scalar(select(func.count()).select_from(Model)) or 0,
        "prices": session.scalar(select(func.count()).select_from(Price)) or 0,
    }


def product_cards(session: Session, ids: Iterable[int]) -> dict[int, ProductCard]:
    """The cards of these products by id, in three statements however many are asked for; unknown ids are left out."""
    wanted = list(ids)
    offers: dict[int, list[Offer]] = defaultdict(list)
    for product_id, shop, listing in session.execute(
            select(Listing.product_id, Shop.name, Listing).join(Shop)
            .where(Listing.product_id.in_(wanted), Listing.gone_at.is_(None)).order_by(Listing.id)):
        offers[product_id].append(Offer(shop, listing.url, listing.price, listing.currency, listing.available,
                                        dict(listing.sizes)))
    photos: dict[int, dict[str, None]] = defaultdict(dict)
    for product_id, sha256 in session.execute(
            select(ProductPhoto.product_id, ProductPhoto.sha256).where(ProductPhoto.product_id.in_(wanted))
            .order_by(ProductPhoto.position, ProductPhoto.id)):
        photos[product_id][sha256] = None
    return {product.id: ProductCard(product.id, product.brand, product.name, product.colour, product.style_code,
                                    product.shoe_type, product.model_id, model_name or "",
                                    tuple(offers[product.id]), tuple(photos[product.id]))
            for product, model_name in session.execute(
                select(Product, Model.name).outerjoin(Model).where(Product.id.in_(wanted)))}


def product_photos(session: Session) -> list[ProductPhotoRow]:
    """Every distinct (product, photo) pair of the catalogue, in a stable order."""
    rows = session.execute(
        select(Product.id, Photo.sha256, Photo.dhash, Product.key, Model.key, Product.brand, Product.shoe_type)
        .join(ProductPhoto, ProductPhoto.product_id == Product.id)
        .join(Photo, Photo.sha256 == ProductPhoto.sha256)
        .outerjoin(Model, Model.id == Product.model_id)
        .distinct().order_by(Product.id, Photo.sha256))
    return [ProductPhotoRow(pid, sha, dhash, key, model or key, brand, shoe_type)
            for pid, sha, dhash, key, model, brand, shoe_type in rows]


def product_ids_by_key(session: Session, keys: Sequence[str]) -> dict[str, int]:
    """Product ids by identity key, for those that exist."""
    return {key: product_id for key, product_id in
            session.execute(select(Product.key, Product.id).where(Product.key.in_(keys)))}


def catalogue_rows(session: Session) -> Iterator[tuple[ProductRow, list[Photo]]]:
    """Each product with its photos, as a `products.csv` has them."""
    for product, model_key in session.execute(
            select(Product, Model.key).outerjoin(Model).order_by(Product.id)).all():
        photos = list(session.scalars(
            select(Photo).join(ProductPhoto, ProductPhoto.sha256 == Photo.sha256)
            .where(ProductPhoto.product_id == product.id).group_by(Photo.sha256)
            .order_by(func.min(ProductPhoto.position), Photo.sha256)))
        offer = session.scalars(select(Listing).where(Listing.product_id == product.id, Listing.price.is_not(None))
                                .order_by(Listing.id).limit(1)).first()
        price = f"{offer.price} {offer.currency}".strip() if offer else ""
        yield ProductRow(set="catalogue", slug=f"product-{product.id}", brand=product.brand, name=product.name,
                         price=price, colour=product.colour, sku=product.style_code, model_group=model_key or "",
                         shoe_type=product.shoe_type, kind="", n_images=str(len(photos))), photos
