"""A few plain sentences in each language that IFEval asks for, and in some that it does not."""

SENTENCES = {
    "hi": [
        "आज मौसम बहुत अच्छा है और हम बगीचे में टहल रहे हैं।",
        "यह किताब मेरे भाई ने मुझे दी थी।",
        "क्या आप कल हमारे साथ बाज़ार चलेंगे?",
    ],
    "mr": [
        "आज हवामान खूप छान आहे आणि आम्ही बागेत फिरत आहोत.",
        "हे पुस्तक माझ्या भावाने मला दिले होते.",
        "तुम्ही उद्या आमच्याबरोबर बाजारात याल का?",
    ],
    "ne": [
        "आज मौसम धेरै राम्रो छ र हामी बगैंचामा घुमिरहेका छौं।",
        "यो किताब मेरो भाइले मलाई दिएको थियो।",
        "के तपाईं भोलि हामीसँग बजार जानुहुन्छ?",
    ],
    "kn": [
        "ಇಂದು ಹವಾಮಾನ ತುಂಬಾ ಚೆನ್ನಾಗಿದೆ ಮತ್ತು ನಾವು ತೋಟದಲ್ಲಿ ನಡೆಯುತ್ತಿದ್ದೇವೆ.",
        "ಈ ಪುಸ್ತಕವನ್ನು ನನ್ನ ಸಹೋದರ ನನಗೆ ಕೊಟ್ಟನು.",
    ],
    "te": ["ఈ రోజు వాతావరణం చాలా బాగుంది మరియు మేము తోటలో నడుస్తున్నాము.", "ఈ పుస్తకాన్ని నా సోదరుడు నాకు ఇచ్చాడు."],
    "ta": [
        "இன்று வானிலை மிகவும் நன்றாக இருக்கிறது, நாங்கள் தோட்டத்தில் நடக்கிறோம்.",
        "இந்த புத்தகத்தை என் சகோதரர் எனக்கு கொடுத்தார்.",
    ],
    "gu": ["આજે હવામાન ખૂબ સરસ છે અને અમે બગીચામાં ફરી રહ્યા છીએ.", "આ પુસ્તક મારા ભાઈએ મને આપ્યું હતું."],
    "pa": ["ਅੱਜ ਮੌਸਮ ਬਹੁਤ ਵਧੀਆ ਹੈ ਅਤੇ ਅਸੀਂ ਬਾਗ ਵਿੱਚ ਸੈਰ ਕਰ ਰਹੇ ਹਾਂ।", "ਇਹ ਕਿਤਾਬ ਮੇਰੇ ਭਰਾ ਨੇ ਮੈਨੂੰ ਦਿੱਤੀ ਸੀ।"],
    "bn": ["আজ আবহাওয়া খুব সুন্দর এবং আমরা বাগানে হাঁটছি।", "এই বইটি আমার ভাই আমাকে দিয়েছিল।"],
    "ur": ["آج موسم بہت اچھا ہے اور ہم باغ میں ٹہل رہے ہیں۔", "یہ کتاب میرے بھائی نے مجھے دی تھی۔"],
    "fa": ["امروز هوا خیلی خوب است و ما در باغ قدم می‌زنیم.", "این کتاب را برادرم به من داده بود."],
    "ar": ["الطقس جميل جدا اليوم ونحن نمشي في الحديقة.", "هذا الكتاب أعطاني إياه أخي في العام الماضي."],
    "th": ["วันนี้อากาศดีมากและเรากำลังเดินเล่นในสวน", "หนังสือเล่มนี้พี่ชายของฉันให้มา"],
    "ko": ["오늘은 날씨가 아주 좋아서 우리는 정원을 걷고 있습니다.", "이 책은 형이 나에게 준 것입니다."],
    "vi": [
        "Hôm nay thời tiết rất đẹp và chúng tôi đang đi dạo trong vườn.",
        "Cuốn sách này là của anh trai tôi tặng cho tôi.",
    ],
    "ru": [
        "Сегодня очень хорошая погода, и мы гуляем по саду.",
        "Эту книгу мне подарил мой брат, когда я был маленьким.",
    ],
    "bg": ["Днес времето е много хубаво и ние се разхождаме в градината.", "Тази книга ми беше подарена от брат ми."],
    "de": [
        "Heute ist das Wetter sehr schön und wir gehen im Garten spazieren.",
        "Dieses Buch hat mir mein Bruder geschenkt.",
    ],
    "it": ["Oggi il tempo è molto bello e passeggiamo nel giardino.", "Questo libro me lo ha regalato mio fratello."],
    "pt": ["Hoje o tempo está muito bom e estamos a passear no jardim.", "Este livro foi o meu irmão que me deu."],
    "fi": ["Tänään sää on erittäin kaunis ja kävelemme puutarhassa.", "Tämän kirjan antoi minulle veljeni."],
    "sw": [
        "Leo hali ya hewa ni nzuri sana na tunatembea kwenye bustani.",
        "Kitabu hiki nilipewa na kaka yangu mwaka jana.",
    ],
    "es": ["Hoy hace muy buen tiempo y paseamos por el jardín.", "Este libro me lo regaló mi hermano."],
    "fr": [
        "Aujourd'hui il fait très beau et nous nous promenons dans le jardin.",
        "Ce livre m'a été offert par mon frère.",
    ],
    "uk": ["Сьогодні дуже гарна погода, і ми гуляємо в саду.", "Цю книгу мені подарував мій брат."],
    "en": [
        "Today the weather is very nice and we are walking in the garden.",
        "My brother gave me this book last year.",
    ],
}  # fmt: skip
