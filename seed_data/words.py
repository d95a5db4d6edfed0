"""The vocabulary of posts: what people write about in each category, and the scripts they write in."""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "art": (
        "watercolor flowers", "acrylic pour painting", "charcoal portrait drawing", "abstract canvas art",
        "sketchbook pages", "oil pastel landscapes", "line art faces", "gouache studies", "mixed media collage",
        "digital illustration", "art journal prompts", "color theory exercises",
    ),
    "beauty": (
        "skin care routine", "natural makeup looks", "nail designs", "curly hair tips", "eyeshadow tutorial",
        "homemade face masks", "wedding hairstyles", "lip care at home", "short haircuts", "drugstore dupes",
        "brow shaping", "hair color trends",
    ),
    "christmas": (
        "christmas tree decorations", "gingerbread house", "christmas cookies", "handmade ornaments",
        "advent calendar", "front porch decor", "stocking stuffers", "christmas party games", "wreath making",
        "holiday table setting", "gift wrapping", "winter village",
    ),
    "diy-and-crafts": (
        "paper flowers", "macrame wall hanging", "painted rocks", "resin coasters", "pipe cleaner animals",
        "cardboard crafts", "mason jar lanterns", "crochet blanket patterns", "felt animals", "tie dye shirts",
        "popsicle stick projects", "salt dough handprints",
    ),
    "education": (
        "classroom management", "reading comprehension", "phonics worksheets", "math centers",
        "bulletin boards", "science experiments", "growth mindset lessons", "sight word practice",
        "homeschool schedule", "teacher planner", "vocabulary games", "morning work",
    ),
    "event-planning": (
        "baby shower themes", "wedding checklist", "balloon garland", "birthday party favors",
        "bridal shower games", "corporate event decor", "table centerpieces", "party invitations",
        "graduation party food", "event planner contract", "photo booth backdrop", "seating chart",
    ),
    "finance": (
        "monthly budget", "saving challenge", "debt payoff plan", "passive income", "side hustles",
        "investing for beginners", "credit score tips", "cash envelope system", "frugal living",
        "retirement planning", "money mindset", "emergency fund",
    ),
    "home-decor": (
        "living room ideas", "farmhouse kitchen", "small bedroom makeover", "gallery wall",
        "entryway storage", "boho bathroom", "coffee table styling", "accent wall", "cozy reading nook",
        "neutral color palette", "open shelving", "patio furniture",
    ),
    "mens-fashion": (
        "business casual outfits", "street style looks", "winter layering", "capsule wardrobe",
        "leather boots", "linen shirts", "wedding guest suits", "summer shorts", "denim jacket outfits",
        "watch collection", "sneaker rotation", "tailored trousers",
    ),
    "quotes": (
        "inspirational quotes", "love quotes for him", "words of wisdom", "friendship sayings",
        "motivation for hard days", "self love affirmations", "funny quotes", "life lessons",
        "healing quotes", "positive thoughts", "quotes about strength", "poems about change",
    ),
    "tattoos": (
        "small wrist tattoos", "fine line florals", "sleeve ideas", "matching sister tattoos",
        "butterfly tattoos", "minimalist ink", "back of arm tattoos", "meaningful symbols",
        "spine tattoos", "moth designs", "script lettering", "ankle tattoos",
    ),
    "travel": (
        "italy itinerary", "packing list", "hidden beaches", "road trip stops", "national parks",
        "solo travel tips", "things to do in lisbon", "europe by train", "island hopping",
        "weekend getaways", "best time to visit japan", "bucket list places",
    ),
    "vehicles": (
        "classic muscle cars", "camper van conversion", "vintage motorcycles", "off road trucks",
        "luxury supercars", "tractor restoration", "electric cars", "concept car sketches",
        "jeep accessories", "harley customs", "old pickup trucks", "truck interiors",
    ),
}  # fmt: skip
"""What a post is about, by category."""

OPENERS = (
    "", "", "10 Easy ", "15 Best ", "25 Beautiful ", "How to Plan ", "The Ultimate Guide to ", "My Favorite ",
    "30+ Stunning ", "Simple ", "50 Creative ", "Why We Love ", "7 Secrets of ", "A Beginner's Guide to ", "Best of ",
)  # fmt: skip
CLOSERS = (
    "", " You Need to Try", " for Beginners", " on a Budget", " That Will Inspire You", " - Step by Step",
    " | Free Printable", " to Save for Later", ": Everything You Need to Know", " (With Pictures)", " Under $20",
    " for Small Spaces", " Everyone Is Talking About", " - The Complete List", " for Every Season",
)  # fmt: skip
EXTRAS = (
    " and What I Would Do Differently Next Time", " | Tips, Tricks and Ideas From People Who Do It Every Day",
    (
        " - Updated With Reader Photos, Sources and a Shopping List for Every Budget and Every Skill Level, "
        "From the First Steps on a Rainy Afternoon to Finished Pieces That Last for Years to Come"
    ),
)  # fmt: skip
SHORT_TITLES = ("♡", ".", "✨", "Art", "Ideas", "DIY", "untitled", "2021", "Wow", "home.")

DECORATIONS = (
    "✨ {}", "{} ✨", "{} 🎄", "{} ❤️", "🌿 {} 🌿", "{} 😍🔥", "{} – Pinned", "{} – A Guide", "It’s Here: {}",
    "{} • Free", "“{}”", "{} 👩‍🎨", "{} é Più", "{} ™",
)  # fmt: skip
"""Ways in which a title holds more than ASCII; `{}` is the title."""

FOREIGN_TITLES = (
    "Идеи для дома и сада", "Новогодние поделки своими руками", "Красивые цитаты о жизни",
    "Τα πιο όμορφα νησιά της Ελλάδας", "Ιδέες για το σπίτι", "クリスマスの手作りオーナメント",
    "かわいいネイルデザイン集",
    "京都のおすすめ観光スポット", "𝓕𝓪𝓵𝓵 𝓲𝓷 𝓛𝓸𝓿𝓮", "𝐇𝐨𝐦𝐞 𝐒𝐰𝐞𝐞𝐭 𝐇𝐨𝐦𝐞", "𝔗𝔥𝔢 ℜ𝔞𝔳𝔢𝔫", "Decoração de Natal simples e fácil",
    "Maquillage d’été : les idées à copier", "Möbel für kleine Räume", "Diseño de uñas para niñas",
)  # fmt: skip
"""Titles in Cyrillic, Greek, Japanese, mathematical letters and accented Latin."""

SENTENCES = (
    "Looking for {}? Here are the ideas that we come back to again and again.",
    "This post is all about {} and how to get started without spending much.",
    "Save this pin for later, then come back when you need {}.",
    "We tested it at home so that you don't have to.",
    "You only need an afternoon, a few supplies and some patience.",
    "Perfect for beginners, families and anybody short of time.",
    "Read on for a full list of materials and a printable checklist.",
    "If you love {}, follow along for more every week.",
    "Here you will find everything about {}, with pictures.",
    "Find and save ideas about {} on your own boards.",
    "Click through for the whole story.",
    "A list that keeps growing.",
)
ACCENTED_SENTENCES = (
    "It’s easier than you think ✨", "Préparez-vous pour l’été.", "Всё, что нужно знать.", "かわいい!", "Καλή χρονιά!",
    "Only $5 – really 😍", "From our café in Málaga.", "❤️ 🎄 ❤️",
)  # fmt: skip

TAG_STYLES = (
    "Diy", "Easy", "Modern", "Vintage", "Simple", "Best", "Cute", "Creative", "Rustic", "Free", "Beautiful", "Unique",
    "Small", "Classic", "Popular", "New", "Homemade", "Minimalist", "Trendy", "Fun", "Famous", "Cheap", "Colorful",
)  # fmt: skip
TAG_TOPICS: dict[str, tuple[str, ...]] = {
    "art": (
        "Art", "Drawings", "Paintings", "Art Sketches", "Canvas Art", "Art Inspo", "Watercolor", "Illustrations",
        "Art Journal", "Portraits", "Art Tutorials", "Aesthetic Art", "Wall Art", "Sculptures", "Art Lessons",
        "Sketchbook",
    ),
    "beauty": (
        "Makeup", "Skin Care", "Nails", "Hairstyles", "Beauty Hacks", "Hair Color", "Face Masks", "Eye Makeup",
        "Haircuts", "Beauty Tips", "Nail Art", "Lipstick", "Hair Care", "Skincare Tips", "Brows", "Lashes",
    ),
    "christmas": (
        "Christmas", "Xmas Crafts", "Ornaments", "Christmas Decor", "Christmas Tree", "Wreaths", "Holiday Decor",
        "Gift Ideas", "Cookies", "Noel", "Stockings", "Christmas Diy", "Winter Crafts", "Santa", "Gingerbread",
        "Xmas Party",
    ),
    "diy-and-crafts": (
        "Crafts", "Paper Crafts", "Kids Crafts", "Crochet", "Craft Ideas", "Origami", "Felt Crafts", "Sewing",
        "Home Crafts", "Jar Crafts", "Projects", "Macrame", "Craft Videos", "Handmade Gifts", "Clay", "Wood Crafts",
    ),
    "education": (
        "Education", "Classroom", "Teaching Ideas", "Kindergarten", "Phonics", "Worksheets", "Math Games",
        "Learning", "School Ideas", "Preschool", "Homeschool", "Lesson Plans", "Reading", "Teacher Tips", "Science",
        "Study Notes",
    ),
    "event-planning": (
        "Party Ideas", "Wedding Tips", "Event Decor", "Baby Shower", "Party Favors", "Invitations", "Event Planner",
        "Centerpieces", "Balloons", "Birthday", "Party Themes", "Bridal Shower", "Receptions", "Menus", "Checklists",
        "Venues",
    ),
    "finance": (
        "Budgeting", "Saving Money", "Finance Tips", "Money Hacks", "Investing", "Side Jobs", "Debt Payoff",
        "Personal Finance", "Income Ideas", "Frugal Tips", "Money Plan", "Savings Plan", "Stocks", "Blog Income",
        "Credit Cards", "Wealth",
    ),
    "home-decor": (
        "Home Decor", "Living Room", "Bedroom Ideas", "Farmhouse", "Room Decor", "Kitchen Ideas", "Interiors",
        "House Design", "Wall Decor", "Bathrooms", "Decor Ideas", "Furniture", "Entryway", "Boho Decor", "Shelves",
        "Lighting",
    ),
    "mens-fashion": (
        "Mens Fashion", "Mens Outfits", "Mens Style", "Suits", "Streetwear", "Mens Shoes", "Casual Wear", "Menswear",
        "Sneakers", "Mens Jackets", "Mens Clothing", "Mens Boots", "Gentleman", "Shirts", "Watches", "Denim",
    ),
    "quotes": (
        "Quotes", "Life Quotes", "Love Quotes", "Sayings", "Motivation", "Wise Words", "Affirmations", "Good Thoughts",
        "Sad Quotes", "Poems", "Funny Quotes", "Self Love", "True Words", "Mindset", "Bible Verses", "Friendship",
    ),
    "tattoos": (
        "Tattoos", "Tattoo Ideas", "Sleeve Tattoos", "Tattoo Designs", "Ink", "Wrist Tattoos", "Tattoos For Women",
        "Flower Tattoos", "Tattoo Fonts", "Arm Tattoos", "Body Art", "Tattoo Sketches", "Fine Line", "Piercings",
        "Hand Tattoos", "Flash",
    ),
    "travel": (
        "Travel", "Travel Tips", "Places To Visit", "Beaches", "Vacation Ideas", "Road Trips", "Europe Travel",
        "Travel Guides", "Bucket List", "Islands", "Packing Tips", "City Breaks", "Hikes", "Travel Photos", "Hotels",
        "Italy Travel",
    ),
    "vehicles": (
        "Cars", "Dream Cars", "Trucks", "Muscle Cars", "Motorcycles", "Campers", "Sports Cars", "Jeeps",
        "Car Interiors", "Pickup Trucks", "Supercars", "Old Cars", "Vans", "Bikes", "Tractors", "Car Design",
    ),
}  # fmt: skip
"""What a tag names, by category; a tag is a style and a topic."""

POSTER_FIRSTS = (
    "Happy", "Crafty", "Simply", "Little", "Golden", "Urban", "Wild", "Modern", "Cozy", "Bright", "Sunny", "Salty",
    "Rustic", "Honest", "Lucky", "Sweet", "Velvet", "Silver", "Paper", "Cotton", "Copper", "Maple", "Olive", "Lemon",
    "Indigo", "Coral", "Gentle", "Daily", "Tiny", "Lovely", "Clever", "Quiet", "Nordic", "Lazy", "Busy", "Humble",
    "Twinkle", "Dapper", "Crimson", "Misty", "Breezy",
)  # fmt: skip
POSTER_SECONDS = (
    "Home", "Nest", "Studio", "Kitchen", "Garden", "Cottage", "Corner", "Journal", "Canvas", "Bloom", "Thread",
    "Wander", "Teacher", "Maker", "Budget", "Moment", "Mama", "Ink", "Lens", "Fox", "Robin", "Daisy", "Willow",
    "Harbor", "Meadow", "Compass", "Lantern", "Feather", "Button", "Pixel", "Acorn", "Clover", "Pebble", "Ribbon",
    "Candle", "Orchard", "Thimble", "Saddle", "Engine", "Tailor", "Anchor", "Chapter", "Penny",
)  # fmt: skip
POSTER_SLOGANS = (
    "Recipes, Crafts & Family Fun", "Travel Blog", "Home Decor, DIY & Budget Ideas", "Free Printables",
    "Fashion & Style",
    "Teaching Resources for Busy Elementary Teachers Who Love Their Weekends", "Lifestyle Blogger", "Etsy Shop",
    "Helping Moms Save Money, Pay Off Debt, Plan Simple Meals and Make a Home That They Love to Come Back To Every Day",
)  # fmt: skip
