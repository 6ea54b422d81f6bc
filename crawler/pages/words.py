"""The words by which shops of several languages say what a piece of text is: prices, sizes, stock, labels, headings."""

import re

from catalogue.identity import plain


def _any(*words: str) -> re.Pattern[str]:
    return re.compile("|".join(words), re.I)


# A block under such a heading shows other shoes, or other people.
OTHERS_HEADING = _any(
    r"(may|might|will) also (like|love)", "also (bought|viewed|purchased|liked)", "related", "recommend", "similar",
    "recently (viewed|seen)", "(last|just) (viewed|seen)", "you('| ha)ve viewed", "complete (the|your) (look|outfit)",
    "(shop|get) the look", "(wear|pair|goes?|works?|style) (it )?(well )?with",
    "more (from|like|styles|colou?rs|shoes)",
    "frequently bought", "customers? (who|also)", "best ?sellers?", "new (arrivals|in)$", "popular", "trending",
    "top picks", "picked for you", "just for you", "other (colou?rs|shoes|products|customers)",
    "^(customer |product |photo )?reviews?\\b",
    "(as seen )?on instagram", "ratings", "follow us", "inspired by", "discover more", "explore more",
    "관련", "추천", "최근 ?본", "함께", "비슷한", "다른 (상품|고객)", "인기", "리뷰", "후기", "연관", "베스트",
    "상품평", "코디",
    "ähnlich", "könnte", "zuletzt", "kunden", "empfehl", "passt dazu", "passend dazu", "weitere", "auch interessant",
    "bewertungen", "beliebt", "aimer(ez|iez|ont)", "similaires", "récemment", "vus", "avis", "recommand", "complétez",
    "associés",
    "plaire", "aussi", "おすすめ", "最近", "関連", "チェックした", "レビュー", "こちらも", "一緒に", "人気", "類似",
    "ランキング",
    "también", "relacionad", "recomend", "potrebbe", "correlati", "simili")

HOME = {plain(word) for word in (
    "home", "homepage", "home page", "start", "startseite", "start page", "startpage", "accueil", "홈", "메인", "처음",
    "ホーム",
    "トップ", "トップページ", "home", "inicio", "main", "front page", "top", "shop home", "hjem", "hem",
    "strona główna",
    "главная",
    "首页", "홈으로", "현재 위치", "you are here")}

SOLD_OUT = _any(
    r"sold[\s_-]*out", r"out[\s_-]*of[\s_-]*stock", "품절", "일시 ?품절", "재고 ?없음", "매진", "ausverkauft",
    "nicht (mehr )?(verfügbar|lieferbar|auf lager)",
    r"épuisé", "rupture de stock", "indisponible", "non disponible", "売り?切れ", "完売", "在庫(なし|切れ)", "品切",
    "agotado",
    "esaurito", "uitverkocht", "currently unavailable", r"no longer available", r"not available$", "notify me when",
    "재입고 ?알림", "입고 ?알림")
BUY = _any(
    r"add (it )?to (my |your )?(shopping )?(cart|bag|basket|trolley)", "buy (it )?now", "^buy$", "purchase",
    "add to order", "pre-?order", "^order now",
    "장바구니", "구매", "바로 ?구매", "주문하기", "카트에? ?(담기|추가)", "쇼핑백",
    r"in den (warenkorb|einkaufswagen|korb)", "jetzt kaufen",
    "^kaufen",
    "in die (einkaufs)?tasche", "ajouter (au|à mon|à la|dans)", "acheter", "mettre au panier", "カート(に|へ)", "購入",
    "買い物かご", "バッグに",
    "añadir al? ", "aggiungi al", "comprar", "in winkelwagen", "lägg i", "dodaj do koszyka")
SIZE_LABEL = re.compile(
    r"^(select |choose |pick |your |shoe |please select )?(a |your )?(eu |uk |us )?(shoe )?(sizes?|사이즈|신발 ?사이즈"
    r"|größen?|schuhgröße|groesse|taille|pointure|サイズ|talla|taglia|maat|"
    r"storlek|rozmiar)( ?(\(?(eu|uk|us|mm|cm|kr|jp)\)?|선택|wählen|auswählen|を選択|을 선택.*"
    r"|를 선택.*))?\s*[:\uff1a*]?$", re.I)
# What a size looks like: 38, 42.5, 42 2/3, 250, EU 42, US 9.5, 7½, 25.5cm, S, XL, 42/43.
SIZE = re.compile(
    r"^(?:(?:eu|uk|us|kr|jp|fr|it|cn)[ :.-]?(?:m|w|men'?s|women'?s)?[ :.-]?)?"
    r"(?:\d{1,3}(?:[.,]\d{1,2})?(?: ?[½⅓⅔¼¾]| \d/\d)?(?: ?(?:mm|cm|eu|uk|us|kr|jp|w|m|d"
    r"|호))?(?: ?[-/–] ?\d{1,3}(?:[.,]\d)?)?|x{0,3}[sl]|m|\d?xl|free|f|one size)$",
    re.I)
CART = {plain(word) for word in (
    "cart", "your cart", "shopping cart", "my cart", "bag", "your bag", "shopping bag", "my bag", "basket",
    "your basket", "shopping basket", "checkout",
    "장바구니", "주문서", "주문/결제", "쇼핑백", "warenkorb", "mein warenkorb", "ihr warenkorb", "einkaufswagen",
    "kasse", "panier",
    "mon panier", "votre panier",
    "カート", "ショッピングカート", "買い物かご", "wishlist", "위시리스트", "carrito", "carrello", "winkelwagen",
    "gift card", "기프트카드",
    "geschenkkarte", "geschenkgutschein", "carte cadeau", "ギフトカード",
    "e-gift card", "digital gift card")}

# Beside or before a price: it is a former one, or none of the shoe.
FORMER = _any(
    r"\bwas\b", r"\brrp\b", r"\bmsrp\b", r"\buvp\b", r"\bstatt\b", "regular price", "original price", "list price",
    "compare at", "retail price", "old price", "previous", "former",
    "정가", "정상가", "소비자가", "시중가", "할인 ?전", "prix (initial|conseillé|d'origine|barré|de base|normal"
                                         "|habituel)",
    "au lieu de", "ancien prix", "unverbindlich", "ursprünglich", "vorher", "bisher",
    "alter preis", "listenpreis", "normalpreis", "定価", "通常価格", "通常販売価格", "参考価格", "メーカー希望",
    "precio anterior",
    "lowest price in", "niedrigster", "30[- ]tage", "30[- ]tage")
NOT_A_PRICE = _any(
    "shipping", "delivery", "free over", "orders? over", r"\bfrom only\b", "coupon", "points?", "reward", "earn",
    r"\bsave\b", "savings?", "discount", r"\boff\b", "instal?ments?", "per month", r"/ ?mo", "klarna", "afterpay",
    "tax(es)? included: ",
    "배송", "적립", "쿠폰", "포인트", "마일리지", "할인금액", "할인액", "무료", "개월", "무이자", "versand",
    "lieferung", "ersparnis", "sparen",
    "gespart", "rate[n]?\\b", "monat", "gutschein", "livraison", "économi", "remise", "par mois", "fois",
    "送料", "ポイント", "クーポン", "月々", "割引", "還元", "お得", "envío", "spedizione", "total", "subtotal",
    "합계", "총 ?(상품)?금액",
    "gesamt", "合計", "gift wrap", "선물 ?포장")
PRICE_LABEL = _any(
    r"^(sale |our |now|current |special |member )?price\b", "^now\\b", "^판매가", "^할인가", "^할인 ?판매가", "^가격",
    "^회원가",
    "^세일가", "^preis", "^jetzt", "^nur\\b", "^prix", "^販売価格", "^価格", "^セール価格", "^税込", "^precio",
    "^prezzo")

LABELS = {
    "brand": _any(r"^(brand( name)?|maker|manufacturer|브랜드( ?명)?|제조사|제조자|marke|hersteller|marque"
                  r"|fabricant|ブランド(名)?"
                  r"|メーカー(名)?|marca|merk)$"),
    "style_code": _any(
        r"^(style( ?(no|number|code|id|#))?\.?|model( ?(no|number|code))\.?|(manufacturer )?(part|article|item"
        r"|product|product style) ?(no|number|code)\.?|article|art\.?[- ]?(no|nr)\.?|mpn|style colou?r"
        r"|품번|스타일( ?(코드|번호|넘버))|모델( ?(번호|코드|명))|제품 ?(번호|코드)|상품 ?(번호|코드)"
        r"|품명 ?및 ?모델명|artikel-?(nummer|nr\.?)"
        r"|art\.-?nr\.?|herstellernummer|hersteller-?(artikel)?(nummer|nr\.?)|modellnummer|stilcode|style-?nr\.?"
        r"|référence|réf\.?|réf(érence)? (du )?(produit|fabricant|article)|code (article|style|produit)|品番|型番"
        r"|スタイル(コード|番号)?|モデル番号|商品番号|メーカー品番|referencia|codice( articolo)?)$"),
    "sku": _any(r"^(sku|id)$"),
    "colour": _any(r"^(colou?r( ?(way|name))?|색상(명)?|컬러|칼라|farbe|farbbezeichnung|couleurs?|coloris|カラー|色"
                   r"|color"
                   r"|colore|kleur)$"),
    "gtin": _any(r"^(gtin(-?\d+)?|ean(-?(13|code))?|upc|barcode|바코드|jan( ?コード)?)$"),
}

IN_STOCK = _any(
    r"^\W*(in stock|available now|ready to ship|auf lager|sofort lieferbar|lieferbar|vorrätig|verfügbar|en stock"
    r"|disponible|재고 ?(있음|보유)|구매 ?가능|在庫(あり|有り?)|disponibile)\b")
